"""What this app tells the apps above it, inside its transaction."""

from django.dispatch import Signal

#: A task ends (completed, failed or cancelled). Arguments: task, actor, role, because. A receiver that raises a
#: DomainError forbids it; whatever it changes commits or rolls back with the task.
task_ending = Signal()
