"""The zoo's results: records of runs that ship with the project, and what is made of them."""
