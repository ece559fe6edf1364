"""What several tests share: `from support.networks import ...`, wherever a test lies."""
