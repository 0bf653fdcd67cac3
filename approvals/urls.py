"""The pages of approvals."""

from django.urls import path

from approvals import views

urlpatterns = [
    path("", views.inbox, name="approvals"),
    path("decide/", views.several, name="several"),
    path("<uuid:id>/", views.show, name="approval"),
    path("<uuid:id>/decide/", views.decide, name="decide"),
]
