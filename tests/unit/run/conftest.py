from toy import toy  # noqa: F401
