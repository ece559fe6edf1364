"""Looking keys up, as torchsparse.nn.functional.query has it."""

from zeroskip.model.sparseconv.lookup import sphashquery

__all__ = ["sphashquery"]
