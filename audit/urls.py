"""The pages of audit."""

urlpatterns = []
