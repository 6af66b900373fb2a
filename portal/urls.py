"""Addresses of the portal, below /p/."""

from django.urls import path

from portal import arranging_views, views
from portal.unsubscribing import stop_mail

app_name = "portal"
urlpatterns = [
    path("", views.lost, name="lost"),
    # One segment longer than any token's page, so that no token can be mistaken for it.
    path("new/link/", views.ask, name="ask"),
    path("stop/mail/<str:sign>/", stop_mail, name="stop-mail"),
    path("<str:token>/", views.home, name="home"),
    path("<str:token>/pay/", views.pay, name="pay"),
    path("<str:token>/fees/", views.pay_fees, name="pay-fees"),
    path("<str:token>/plan/", arranging_views.plan, name="plan"),
    path("<str:token>/plan/pay/", arranging_views.plan_pay, name="plan-pay"),
    path("<str:token>/promise/", arranging_views.promise, name="promise"),
    path("<str:token>/card/", views.card, name="card"),
    path("<str:token>/card/intent/", views.card_intent, name="card-intent"),
    path("<str:token>/card/done/", views.card_done, name="card-done"),
    path("<str:token>/notice/<int:notice_id>/dismiss/", views.notice_away, name="notice-dismiss"),
    path("<str:token>/result/<int:checkout_id>/", views.result, name="result"),
    path("<str:token>/preferences/", views.preferences_page, name="preferences"),
    path("<str:token>/unsubscribe/", views.unsubscribe_page, name="unsubscribe"),
    path("<str:token>/<path:rest>", views.lost_below, name="lost-below"),
]
