"""The protocols in which the service can be asked, a blueprint each."""
