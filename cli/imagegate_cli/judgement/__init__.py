"""`imagegate judge`: judge scanner reports or an image in ECR by the rules of the gate, without writing to AWS."""
