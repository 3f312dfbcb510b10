"""``python -m scr``: the same as ``scr``, and never another package that happens to lie in the working directory."""

import os
import sys

# ``-m`` puts the working directory first; a user's own eval/ or memory_store/ there would be imported instead of ours.
_root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if sys.path and not sys.flags.safe_path and os.path.abspath(sys.path[0]) != _root:
    del sys.path[0]

if __name__ == "__main__":
    from scr.cli import main

    main()
