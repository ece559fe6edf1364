import torch

# Such small networks are not faster with several threads, and much slower where other jobs use the cores.
torch.set_num_threads(1)
