"""Teach a robot a skill, live: practise, take over, judge, learn."""

__version__ = "0.1.0"
