from robot_rlhf.api import Measured as Measured
from robot_rlhf.api import OpenPlace as OpenPlace
from robot_rlhf.api import Rows as Rows
from robot_rlhf.api import Run as Run
from robot_rlhf.api import learn_offline as learn_offline
from robot_rlhf.api import load as load
from robot_rlhf.api import open_place as open_place
from robot_rlhf.api import person as person
from robot_rlhf.api import recipe as recipe
from robot_rlhf.api import train as train

__version__: str
PUBLIC: tuple[str, ...]
