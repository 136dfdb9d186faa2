"""A bottom for OpenStack Swift's proxy that keeps accounts, containers and objects in an S3 bucket.

Everything above it is Swift's own: the middleware, the proxy application and its controllers. This
package takes the place of the account, container and object servers.
"""
