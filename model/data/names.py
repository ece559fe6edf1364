"""The names of the data sets. Imports nothing, so that a command's help can show them."""

NAMES = "digits, fashion-mnist, fashion-mnist:FOLDER, mnist-5k, cifar-10:FOLDER, python-topics, text:FILE"
"""What may stand in the place of a file; `zeroskip.model.data.named` loads them."""
