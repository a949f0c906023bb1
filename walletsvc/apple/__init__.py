"""The Apple dialect: package and signature, certificates, web service, pushes."""
