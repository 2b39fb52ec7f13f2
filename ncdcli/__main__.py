"""`python -m ncdcli` is `ncd`."""

from ncdcli.start import main

main()
