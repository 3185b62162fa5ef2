"""`imagegate judge`: the gate's own judgement on scanners' files, or on an image in ECR, without writing anything."""
