# Copyright 2026 The hasrd authors
# Apache-2.0
"""The recipe's side in Python: its options, the names of its folders, and the plan of what its stages do."""
