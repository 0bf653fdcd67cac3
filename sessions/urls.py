"""The pages of sessions."""

from django.urls import path

urlpatterns = []
