"""What the errors of unsupported operations name."""

SUPPORTED = (
    "Linear, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, LSTM, GRU, RNN, additions, products of two values, "
    "concatenations, ReLU, ReLU6, Hardtanh, LeakyReLU, Sigmoid, Tanh, SiLU, GELU, Hardswish, Hardsigmoid, max and "
    "average pooling of one and two dimensions, adaptive poolings to sizes that divide the image, means, "
    "BatchNorm1d, BatchNorm2d, reshapes, transpositions, slices and nearest upsampling of each sample, LayerNorm, "
    "RMSNorm, Softmax, matrix products of values, scaled_dot_product_attention, MultiheadAttention, "
    "TransformerEncoder, Embedding, constants that are added or multiplied, Dropout, Identity, and at the end "
    "LogSoftmax"
)

SUPPORTED_IS = f"supported: {SUPPORTED}"
