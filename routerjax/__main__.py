"""python -m routerjax: the command line without the installed script."""

from routerjax.cli.commands import main

raise SystemExit(main())
