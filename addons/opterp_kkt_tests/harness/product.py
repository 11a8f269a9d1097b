"""Makes `opterp_kkt` a package that can be imported without Odoo: what lies below the models needs none, its `__init__` does."""

import sys
from pathlib import Path
from types import ModuleType

package = ModuleType("opterp_kkt")
package.__path__ = [str(Path(__file__).parents[2] / "opterp_kkt")]
sys.modules.setdefault("opterp_kkt", package)
