"""Switches of torchsparse's GPU kernels. Networks may set them; nothing here reads them."""

allow_tf32 = False
benchmark = False
device_capability = 0
hash_rsv_ratio = 2
