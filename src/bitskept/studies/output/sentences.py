"""What the tables of notebook 08 show, in words (Markdown)."""
