"""Swift's pipeline in front of MinIO or any S3 server: the second testbed of the swift driver."""
