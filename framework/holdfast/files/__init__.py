"""How Holdfast touches files: mutations that crash tests see, trees, and files for one owner."""
