-- Why a task failed, for programs: the kind of fault, the model that was asked for, the core that was asked. All NULL
-- where the failure has no kind, such as an agent's own error, and for tasks that ended before this version.
ALTER TABLE tasks ADD COLUMN fault_kind TEXT;
ALTER TABLE tasks ADD COLUMN fault_model TEXT;
ALTER TABLE tasks ADD COLUMN fault_core TEXT;
