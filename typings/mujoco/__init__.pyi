# MuJoCo's names come from compiled modules without type information; here they are all Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
