"""The zoo's results: records of runs that ship with the project, their tables and figure."""
