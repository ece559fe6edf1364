"""C++ kernels, compiled when they are first used. They need no headers but the standard library's, and no Python."""
