"""The pages of audit."""

from django.urls import path

from audit import views

urlpatterns = [
    path("", views.trail, name="audit"),
    path("export/", views.download, name="audit_export"),
]
