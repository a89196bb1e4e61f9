# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a measure raises where it has no value."""


class Undefined(Exception):
    """The measure has no value for these signals; the text says why, without naming them.

    The utterance is left out of the mean and listed with this text.
    """
