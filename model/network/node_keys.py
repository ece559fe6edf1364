"""Keys in the `meta` of the nodes of a traced network (zeroskip.model.network.trace)."""

VALUE, PLACE = "zeroskip value", "zeroskip place"
"""What torch gave (a Tensor, or anything else that a function returns), and the line of the user's code."""

COMPARED = "zeroskip compared"
"""Of the input's node: the numbers with which forward() compares the number of samples."""
