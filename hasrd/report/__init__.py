# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tables, figures and the HTML page: made from score files alone (and the trainings' histories, for
curves).
"""
