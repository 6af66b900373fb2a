"""The dashboard: figures of money at risk and coming home."""


def dashboard_callback(request, context):
    return context
