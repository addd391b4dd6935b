"""python -m routerjax: the command line without the installed script."""

from routerjax.cli import main

raise SystemExit(main())
