"""The pages of sessions."""

from django.urls import path

from sessions import views

urlpatterns = [
    path("", views.list_sessions, name="sessions"),
    path("notices/<uuid:id>/read/", views.read_notice, name="notice_read"),
    path("<uuid:id>/", views.show_session, name="session"),
    *(path(f"<uuid:id>/{verb}/", views.act, {"verb": verb}, name=f"task_{verb}") for verb in views.VERBS),
]
