"""Real servers in processes of the test's own: started, frozen, killed, and started again where they were."""
