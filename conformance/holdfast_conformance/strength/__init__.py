"""How strong the suite itself is: mutants, and what killed them."""
