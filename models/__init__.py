"""The contract: what training and serving must agree on, and nothing that only one of them needs."""
