"""From a PyTorch network to sparse silicon, bit for bit."""
