{
    'name': "How others would send documents",
    'summary': "What the measurements compare delivery with",
    'version': '19.0.1.0.0',
    'author': "OPTERP",
    'license': 'LGPL-3',
    'depends': ['queue_job'],
    'data': ['data.xml'],
}
