"""The pages of audit."""

from django.urls import path

urlpatterns = []
