"""The pages of approvals."""

from django.urls import path

urlpatterns = []
