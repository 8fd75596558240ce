"""From a request to the next song: ONNX Runtime, FAISS, Redis, SQL. Never PyTorch, never `training`."""
