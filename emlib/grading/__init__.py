"""Grading notebooks that nobody has looked at: the student's code runs locked in, the checks run outside.

`emlib.grading.sandbox` says what this machine can lock, `emlib.grading.pupil` calls the functions of one submission.
"""
