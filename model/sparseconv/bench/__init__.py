"""What `zeroskip bench sparseconv` measures: scenes, timing beside peers, and the peers themselves."""
