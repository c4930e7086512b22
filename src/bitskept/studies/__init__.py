"""One room for each notebook: its parameters, plans and jobs, what only it computes, its figures and sentences."""
