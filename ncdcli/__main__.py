"""`python -m ncdcli` is `ncd`."""

from ncdcli.cli.main import main

main()
