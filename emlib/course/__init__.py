"""Exercises that check themselves: the same answer in a notebook, in pytest and in the grader.

>>> from emlib.course import load
>>> load("mixtures").title
'The two-step dance'
"""
