"""What the errors of unsupported operations name."""

SUPPORTED = (
    "Linear, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, LSTM, GRU, RNN and their cells, additions, products "
    "of two values, concatenations, ReLU, ReLU6, Hardtanh, LeakyReLU, PReLU, ELU, SELU, Sigmoid, Tanh, Softplus, "
    "SiLU, GELU, Mish, Hardswish, Hardsigmoid, max and average pooling of one and two dimensions, adaptive poolings "
    "to sizes that divide the image, means, sums and greatest values, BatchNorm1d, BatchNorm2d, reshapes, "
    "transpositions, slices, padding, and nearest, linear and bilinear upsampling of each sample, LayerNorm, "
    "RMSNorm, GroupNorm, InstanceNorm, Softmax, matrix products of values, einsum, scaled_dot_product_attention, "
    "MultiheadAttention, Transformer, Embedding, constants that are added or multiplied, Dropout, Identity, and at "
    "the end LogSoftmax"
)

SUPPORTED_IS = f"supported: {SUPPORTED}"
