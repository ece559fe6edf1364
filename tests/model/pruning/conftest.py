import torch

# Networks this small gain nothing from threads, and lose much to them where other jobs want the cores.
torch.set_num_threads(1)
